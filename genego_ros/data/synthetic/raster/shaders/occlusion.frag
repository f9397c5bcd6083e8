// How much of the surroundings and of each lamp a pixel sees. Few taps a pixel, turned from pixel to pixel in a pattern of
// 4 x 4 that a box of 4 x 4 averages out afterwards.
#version 430

const int LAMPS = 3, TAPS = 6, BLOCKERS = 5, FILTER = 7;

uniform sampler2D depths;
uniform sampler2D shapes;
uniform sampler2D near_maps;    // distance along a lamp's axis; one map a lamp, one below the other
uniform sampler2D wide_maps;

uniform vec3 eye;
uniform mat3 world_from_camera;
uniform vec4 pinhole;
uniform int lamps;
uniform mat4 lamp_from_world[LAMPS]; // rigid; the lamp looks along its z
uniform vec2 near_lens[LAMPS];       // focal length and size in texels
uniform vec2 wide_lens[LAMPS];
uniform float lamp_size[LAMPS];
uniform float reach;                 // metres within which surroundings occlude

layout(location = 0) out vec4 open;  // surroundings, lamps: 1 sees all

float turn_of(ivec2 pixel) {
    const int BAYER[16] = int[](0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5);
    return float(BAYER[(pixel.x & 3) + 4 * (pixel.y & 3)]) / 16.0;
}

vec2 on_disk(int i, int count, float turn) {
    float angle = 2.39996 * i + 6.28319 * turn;
    return sqrt((i + 0.5 + 0.5 * (turn - 0.5)) / count) * vec2(cos(angle), sin(angle));
}

// Scalable ambient obscurance (McGuire et al. 2012).
float surroundings(vec2 pixel, vec3 x, vec3 n, float turn) {
    float radius = clamp(reach * pinhole.x / x.z, 3, 60), sum = 0;
    for (int i = 0; i < TAPS; ++i) {
        vec2 disk = on_disk(i, TAPS, turn);
        vec2 at = pixel + radius * disk * length(disk);
        at = clamp(floor(at + 0.5), vec2(0), vec2(textureSize(depths, 0) - 1));
        float z = texelFetch(depths, ivec2(at), 0).r;
        vec3 v = vec3((at - pinhole.zw) / pinhole.xy, 1) * z - x;
        float vv = dot(v, v), vn = dot(v, n) - 0.004 * x.z;
        float fall = max(1 - vv / (reach * reach), 0);
        sum += z > 0 ? fall * max(vn, 0) * inversesqrt(vv + 1e-6) : 0;
    }
    return max(1 - 2.2 * sum / TAPS, 0);
}

float distance_in(sampler2D maps, ivec2 texel, vec2 lens, int lamp) {
    int side = int(lens.y);
    texel = clamp(texel, ivec2(0), ivec2(side - 1)) + ivec2(0, side * lamp);
    return texelFetch(maps, texel, 0).r;
}

// Percentage-closer soft shadows (Fernando 2005). The receiver is taken for a plane, so that a wide penumbra needs no
// wide bias and contact stays dark.
float lamp_seen(sampler2D maps, vec2 lens, int lamp, vec3 x, vec3 n, float turn) {
    float height = dot(n, x), texel = x.z / lens.x, bias = 0.002 + texel;
    float facing = max(-dot(n, normalize(x)), 0.05);
    bias += 0.7 * texel * sqrt(1 - facing * facing) / facing;
    vec2 centre = lens.x * x.xy / x.z + 0.5 * lens.y;
    float half_size = 0.5 * lamp_size[lamp], rise = min(0.5, 0.5 * x.z);
    float search = clamp(half_size * rise / (x.z - rise) / texel, 2, 0.12 * lens.y);
    float blockers = 0, sum = 0;
    for (int i = 0; i < BLOCKERS; ++i) {
        vec2 at = centre + search * on_disk(i, BLOCKERS, turn);
        float z = distance_in(maps, ivec2(at), lens, lamp);
        float plane = height / min(dot(n, vec3((at - 0.5 * lens.y) / lens.x, 1)), -0.02);
        bool blocks = z < plane - bias;
        blockers += float(blocks);
        sum += blocks ? z : 0;
    }
    float blocker = sum / max(blockers, 1);
    float width = blockers > 0 ? half_size * (x.z - blocker) / max(blocker, 0.05) / texel : 1;
    width = clamp(width, 1, search);
    float seen = 0;
    for (int i = 0; i < FILTER; ++i) {
        vec2 at = centre + width * on_disk(i, FILTER, turn);
        float plane = height / min(dot(n, vec3((at - 0.5 * lens.y) / lens.x, 1)), -0.02);
        seen += float(distance_in(maps, ivec2(at), lens, lamp) >= plane - bias);
    }
    return seen / FILTER;
}

void main() {
    ivec2 pixel = ivec2(gl_FragCoord.xy);
    float z = texelFetch(depths, pixel, 0).r;
    open = vec4(1);
    vec3 n = texelFetch(shapes, pixel, 0).xyz;
    vec3 x = vec3((vec2(pixel) - pinhole.zw) / pinhole.xy, 1) * z;
    float turn = turn_of(pixel);
    open.x = z > 0 ? surroundings(vec2(pixel), x, n * world_from_camera, turn) : 1;
    vec3 world = eye + world_from_camera * x;
    for (int lamp = 0; lamp < lamps; ++lamp) {
        vec3 from_lamp = (lamp_from_world[lamp] * vec4(world, 1)).xyz;
        vec3 n_lamp = mat3(lamp_from_world[lamp]) * n;
        bool lit = z > 0 && from_lamp.z > 0.03 && dot(n_lamp, from_lamp) < 0;
        vec2 side = abs(from_lamp.xy) / max(from_lamp.z, 1e-3) * near_lens[lamp].x;
        bool near = max(side.x, side.y) < 0.49 * near_lens[lamp].y;
        float seen = 1;
        for (int i = 0; i < int(lit && near); ++i) seen = lamp_seen(near_maps, near_lens[lamp], lamp, from_lamp, n_lamp, turn);
        for (int i = 0; i < int(lit && !near); ++i) seen = lamp_seen(wide_maps, wide_lens[lamp], lamp, from_lamp, n_lamp, turn);
        open[lamp + 1] = seen;
    }
}
