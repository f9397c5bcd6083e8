// How much of the surroundings and of each lamp a pixel sees. Few taps a pixel, turned from pixel to pixel in a pattern of
// 4 x 4 that a box of 4 x 4 averages out afterwards.
#version 430

const int LAMPS = 3, TAPS = 4, BLOCKERS = 4, FILTER = 4;
// Vogel's spirals: even on a disk.
const vec2 AROUND[TAPS] = vec2[](vec2(0.3536, 0.0000), vec2(-0.4515, 0.4137), vec2(0.0691, -0.7875), vec2(0.5691, 0.7423));
const vec2 SEARCH[BLOCKERS] = vec2[](vec2(0.3536, 0.0000), vec2(-0.4515, 0.4137), vec2(0.0691, -0.7875), vec2(0.5691, 0.7423));
const vec2 SOFT[FILTER] = vec2[](vec2(0.3536, 0.0000), vec2(-0.4515, 0.4137), vec2(0.0691, -0.7875), vec2(0.5691, 0.7423));

uniform sampler2D depths;
uniform sampler2D shapes;
uniform sampler2D maps;         // distance along a lamp's axis; a row a lamp: first a narrow map, then a wide one

uniform vec3 eye;
uniform mat3 world_from_camera;
uniform vec4 pinhole;
uniform int lamps;
uniform mat4 lamp_from_world[LAMPS]; // rigid; the lamp looks along its z
uniform vec2 focal[LAMPS];           // of the narrow and the wide map, texels
uniform float lamp_size[LAMPS];
uniform float reach;                 // metres within which surroundings occlude

layout(location = 0) out vec4 open;  // surroundings, lamps: 1 sees all

// A turn and a stretch of a disk's points, by the pixel's place in the pattern.
mat2 pattern(ivec2 pixel) {
    const int BAYER[16] = int[](0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5);
    float part = BAYER[(pixel.x & 3) + 4 * (pixel.y & 3)] / 16.0, angle = 6.28319 * part;
    return (0.85 + 0.3 * part) * mat2(cos(angle), sin(angle), -sin(angle), cos(angle));
}

// Scalable ambient obscurance (McGuire et al. 2012).
float surroundings(vec2 pixel, vec3 x, vec3 n, mat2 turn) {
    turn *= clamp(reach * pinhole.x / x.z, 3, 60);
    vec2 last = vec2(textureSize(depths, 0) - 1);
    float sum = 0;
    for (int i = 0; i < TAPS; ++i) {
        vec2 at = clamp(floor(pixel + turn * (AROUND[i] * length(AROUND[i])) + 0.5), vec2(0), last);
        float z = texelFetch(depths, ivec2(at), 0).r;
        vec3 v = vec3((at - pinhole.zw) / pinhole.xy, 1) * z - x;
        float vv = dot(v, v), rise = max(dot(v, n) - 0.004 * x.z, 0) * inversesqrt(vv + 1e-6);
        sum += z > 0 ? max(1 - vv / (reach * reach), 0) * rise : 0;
    }
    return max(1 - 2.2 * sum / TAPS, 0);
}

// Percentage-closer soft shadows (Fernando 2005). The receiver is taken for a plane, so that a wide penumbra needs no
// wide bias and contact stays dark.
float lamp_seen(int lamp, vec3 x, vec3 n, mat2 turn) {
    float side = textureSize(maps, 0).x / 2, margin = max(abs(x.x), abs(x.y)) / x.z * focal[lamp].x;
    bool narrow = margin < 0.48 * side;
    float lens = narrow ? focal[lamp].x : focal[lamp].y, texel = x.z / lens;
    vec2 low = vec2(narrow ? 0 : side, side * lamp), high = low + side - 1;
    vec2 centre = clamp(lens * x.xy / x.z + 0.5 * side + low, low, high);
    float facing = max(-dot(n, normalize(x)), 0.05);
    float bias = 0.002 + texel * (1 + 0.7 * sqrt(1 - facing * facing) / facing);
    // The plane's distance at an offset of texels is x.z / (1 + dot(tilt, offset)).
    vec2 tilt = n.xy * texel / min(dot(n, x), -1e-4);
    float half_size = 0.5 * lamp_size[lamp], rise = min(0.5, 0.5 * x.z);
    float search = clamp(half_size * rise / (x.z - rise) / texel, 2, 0.12 * side);
    float blockers = 0, sum = 0;
    mat2 wide = turn * search;
    for (int i = 0; i < BLOCKERS; ++i) {
        vec2 offset = wide * SEARCH[i];
        float z = texelFetch(maps, ivec2(clamp(centre + offset, low, high)), 0).r;
        bool blocks = (z + bias) * max(1 + dot(tilt, offset), 0.2) < x.z;
        blockers += float(blocks);
        sum += blocks ? z : 0;
    }
    float blocker = sum / max(blockers, 1);
    turn *= clamp(half_size * (x.z - blocker) / max(blocker, 0.05) / texel, 1, search);
    float seen = blockers == 0 ? FILTER : 0;
    int count = blockers == 0 || blockers == BLOCKERS && search < 4 ? 0 : FILTER;
    for (int i = 0; i < count; ++i) {
        vec2 offset = turn * SOFT[i];
        float z = texelFetch(maps, ivec2(clamp(centre + offset, low, high)), 0).r;
        seen += float((z + bias) * max(1 + dot(tilt, offset), 0.2) >= x.z);
    }
    return seen / FILTER;
}

void main() {
    ivec2 pixel = ivec2(gl_FragCoord.xy);
    float z = texelFetch(depths, pixel, 0).r;
    open = vec4(1);
    vec3 n = texelFetch(shapes, pixel, 0).xyz;
    vec3 x = vec3((vec2(pixel) - pinhole.zw) / pinhole.xy, 1) * z;
    mat2 turn = pattern(pixel);
    open.x = z > 0 ? surroundings(vec2(pixel), x, n * world_from_camera, turn) : 1;
    vec3 world = eye + world_from_camera * x;
    for (int lamp = 0; lamp < lamps; ++lamp) {
        vec3 from_lamp = (lamp_from_world[lamp] * vec4(world, 1)).xyz;
        vec3 n_lamp = mat3(lamp_from_world[lamp]) * n;
        bool lit = z > 0 && from_lamp.z > 0.03 && dot(n_lamp, from_lamp) < 0;
        float seen = 1;
        for (int i = 0; i < int(lit); ++i) seen = lamp_seen(lamp, from_lamp, n_lamp, turn);
        open[lamp + 1] = seen;
    }
}
