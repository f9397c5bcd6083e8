// How much of the surroundings and of each lamp the surface at a point of the picture sees. Few taps a point, turned from
// point to point in a pattern of 4 x 4 that a box of 4 x 4 averages out afterwards.
#version 430
#include "common.glsl"

const float NEARBY = 16, AROUND_IT = 4; // nearest to path tracing
const int TAPS = 4, BLOCKERS = 3, FILTER = 3;
const float BIAS = 0.0007; // metres before the receiver that are still its own
const vec2 AROUND[TAPS] = vec2[](vec2(0.1250, 0.0000), vec2(-0.2765, 0.2533), vec2(0.0546, -0.6226), vec2(0.5324, 0.6944));
const vec2 SEARCH[BLOCKERS] = vec2[](vec2(0.4082, 0.0000), vec2(-0.5214, 0.4776), vec2(0.0798, -0.9094));
const vec2 SOFT[FILTER] = vec2[](vec2(0.4082, 0.0000), vec2(-0.5214, 0.4776), vec2(0.0798, -0.9094));

uniform sampler2D maps;         // distance along a lamp's axis; a row a lamp: first a narrow map, then a wide one
uniform mat4 lamp_from_world[LAMPS]; // rigid; the lamp looks along its z
uniform vec2 focal[LAMPS];           // of the narrow and the wide map, texels
uniform float lamp_size[LAMPS];
uniform int stride;                  // half pixels between points are twice this

layout(location = 0) out vec4 open;  // surroundings, lamps: 1 sees all
layout(location = 1) out vec4 guide; // the surface: normal, world axes; depth

// A turn and a stretch of a disk's points, by the pixel's place in the pattern.
mat2 pattern(ivec2 pixel) {
    const int BAYER[16] = int[](0, 8, 2, 10, 12, 4, 14, 6, 3, 11, 1, 9, 15, 7, 13, 5);
    float part = BAYER[(pixel.x & 3) + 4 * (pixel.y & 3)] / 16.0, angle = 6.28319 * part;
    return (0.85 + 0.3 * part) * mat2(cos(angle), sin(angle), -sin(angle), cos(angle));
}

// Scalable ambient obscurance (McGuire et al. 2012) within `reach` metres.
float surroundings(ivec2 half_pixel, vec3 x, vec3 n, mat2 turn, float reach) {
    turn *= 2 * clamp(reach * pinhole.x / x.z, 2, 0.15 * textureSize(visible, 0).x);
    vec2 last = vec2(textureSize(visible, 0) - 1);
    float sum = 0;
    for (int i = 0; i < TAPS; ++i) {
        vec2 at = clamp(floor(half_pixel + turn * AROUND[i] + 0.5), vec2(0), last);
        float z = texelFetch(visible, ivec2(at), 0).g;
        vec3 v = ray_through(0.5 * at - 0.5) * z - x;
        float vv = dot(v, v), rise = max(dot(v, n) - 0.003 * x.z, 0) * inversesqrt(vv + 1e-6);
        sum += z > 0 ? max(1 - vv / (reach * reach), 0) * rise : 0;
    }
    return sum / TAPS;
}

// Percentage-closer soft shadows (Fernando 2005). The receiver is taken for a plane, so that a wide penumbra needs no
// wide bias and contact stays dark.
float lamp_seen(int lamp, vec3 x, vec3 n, mat2 turn) {
    float side = textureSize(maps, 0).x / 2, margin = max(abs(x.x), abs(x.y)) / x.z * focal[lamp].x;
    bool narrow = margin < 0.48 * side;
    float lens = narrow ? focal[lamp].x : focal[lamp].y, texel = x.z / lens;
    vec2 low = vec2(narrow ? 0 : side, side * lamp), high = low + side - 1;
    vec2 centre = clamp(lens * x.xy / x.z + 0.5 * side + low, low, high);
    // The plane's distance at an offset of texels is x.z / (1 + dot(tilt, offset)).
    vec2 tilt = n.xy * texel / min(dot(n, x), -1e-4);
    float half_size = 0.5 * lamp_size[lamp], rise = min(0.5, 0.5 * x.z);
    float search = clamp(half_size * rise / (x.z - rise) / texel, 2, 0.12 * side);
    float blockers = 0, sum = 0;
    mat2 wide = turn * search;
    for (int i = 0; i < BLOCKERS; ++i) {
        vec2 at = floor(clamp(centre + wide * SEARCH[i], low, high));
        float z = texelFetch(maps, ivec2(at), 0).r;
        bool blocks = (z + BIAS) * max(1 + dot(tilt, at + 0.5 - centre), 0.2) < x.z;
        blockers += float(blocks);
        sum += blocks ? z : 0;
    }
    float blocker = sum / max(blockers, 1);
    turn *= clamp(half_size * (x.z - blocker) / max(blocker, 0.05) / texel, 1, search);
    float seen = 0;
    for (int i = 0; i < FILTER; ++i) {
        vec2 at = floor(clamp(centre + turn * SOFT[i], low, high));
        float z = texelFetch(maps, ivec2(at), 0).r;
        seen += float((z + BIAS) * max(1 + dot(tilt, at + 0.5 - centre), 0.2) >= x.z);
    }
    return seen / FILTER;
}

void main() {
    ivec2 point = ivec2(gl_FragCoord.xy), half_pixel = stride * (2 * point + 1);
    vec2 seen = texelFetch(visible, half_pixel, 0).rg;
    open = vec4(1);
    guide = vec4(0);
    if (seen.x < 0) return;
    vec3 from_eye = ray_through(0.5 * half_pixel - 0.5), ray = world_from_camera * from_eye, x = from_eye * seen.y;
    Surface s = surface_at(int(seen.x), ray);
    vec3 n = s.across * (s.volume > 0 ? -1 : 1) * inversesqrt(dot(s.across, s.across) + 1e-30);
    guide = vec4(n, seen.y);
    mat2 turn = pattern(point);
    vec3 n_camera = n * world_from_camera;
    open.x = 1 / (1 + NEARBY * surroundings(half_pixel, x, n_camera, turn, 0.08) + AROUND_IT * surroundings(half_pixel, x, n_camera, turn, 0.9));
    vec3 world = eye + ray * seen.y;
    for (int lamp = 0; lamp < lamps; ++lamp) {
        vec3 from_lamp = (lamp_from_world[lamp] * vec4(world, 1)).xyz, n_lamp = mat3(lamp_from_world[lamp]) * n;
        bool lit = from_lamp.z > 0.03 && dot(n_lamp, from_lamp) < 0;
        open[lamp + 1] = lit ? lamp_seen(lamp, from_lamp, n_lamp, turn) : 1;
    }
}
