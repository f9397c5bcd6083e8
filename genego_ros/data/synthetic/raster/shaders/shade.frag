// What a pixel's centre shows: the triangle's plane is intersected with the pixel's ray, so that depth, motion and texture
// coordinates are exact and do not depend on how the triangle was rasterised; then Lambert and GGX under the environment
// and the lamps.
#version 430
#include "common.glsl"

uniform usampler2D before;       // vertices at the moment before
uniform usampler2D attributes;   // u, v as floats, colour packed
uniform sampler2D materials;     // three texels a mesh
uniform sampler2DArray pictures; // linear RGB
uniform sampler2DArray slopes;   // height over texture coordinate, metres
uniform sampler2D opens;         // what is seen of surroundings and lamps
uniform sampler2D guides;        // normal and depth there
uniform sampler3D glossy;        // the environment as surfaces of growing roughness mirror it

uniform mat4 previous;           // the previous camera from the world, rigid
uniform int still;               // meshes below this number stand still
uniform int stride;              // pixels between the points of `opens`
uniform float turn;
uniform vec3 harmonics[9];       // irradiance over pi
uniform vec3 bounce;             // radiance of what hides the surroundings, as it is lit itself
uniform vec3 lamp_position[LAMPS];
uniform vec3 lamp_axis[LAMPS];
uniform vec3 lamp_power[LAMPS];  // radiant intensity along the axis
uniform float lamp_size[LAMPS];

layout(location = 0) out vec4 radiance; // and depth, metres along z, 0 where nothing is
layout(location = 1) out vec2 flow;     // pixels since the previous moment

const float PI = 3.14159265;

vec2 equirectangular(vec3 d) {
    return vec2((atan(d.y, d.x) - turn) / (2 * PI), acos(clamp(d.z, -1, 1)) / PI);
}

// Ramamoorthi and Hanrahan 2001; the constants are in the coefficients.
vec3 irradiance(vec3 n) {
    return max(harmonics[0] + harmonics[1] * n.y + harmonics[2] * n.z + harmonics[3] * n.x + harmonics[4] * (n.x * n.y)
        + harmonics[5] * (n.y * n.z) + harmonics[6] * (3 * n.z * n.z - 1) + harmonics[7] * (n.x * n.z)
        + harmonics[8] * (n.x * n.x - n.y * n.y), vec3(0));
}

// What a surface mirrors of a white environment (Karis 2014).
vec2 mirrored(float roughness, float cosine) {
    vec4 r = roughness * vec4(-1, -0.0275, -0.572, 0.022) + vec4(1, 0.0425, 1.04, -0.04);
    float a = min(r.x * r.x, exp2(-9.28 * cosine)) * r.x + r.y;
    return vec2(-1.04, 1.04) * a + r.zw;
}

vec2 motion(vec2 pixel, vec4 point) {
    vec3 x = (previous * point).xyz;
    return x.z > 0.01 ? pixel - (pinhole.xy * x.xy / x.z + pinhole.zw) : vec2(0);
}

// The four nearest points that lie on the pixel's surface.
vec4 open_at(ivec2 pixel, float z, vec3 n) {
    vec2 at = (vec2(pixel) - 0.5 * (stride - 1)) / stride, part = fract(at);
    ivec2 low = ivec2(floor(at)), last = textureSize(opens, 0) - 1;
    vec4 sum = vec4(0);
    float weights = 0;
    int corners = stride == 1 ? 1 : 4;
    for (int i = 0; i < corners; ++i) {
        ivec2 corner = ivec2(i & 1, i >> 1), point = clamp(low + corner, ivec2(0), last);
        vec2 share = mix(1 - part, part, vec2(corner));
        vec4 guide = texelFetch(guides, point, 0);
        float alike = max(1 - abs(guide.w - z) * 30 / z, 0) * clamp(2 * dot(guide.xyz, n) - 1, 0, 1);
        float weight = (share.x * share.y + 1e-3) * (alike + 1e-4);
        sum += weight * texelFetch(opens, point, 0);
        weights += weight;
    }
    return sum / weights;
}

void main() {
    ivec2 pixel = ivec2(gl_FragCoord.xy);
    int seen = int(texelFetch(visible, 2 * pixel + 1, 0).r);
    vec3 ray = world_from_camera * ray_through(vec2(pixel)), view = -normalize(ray);
    if (seen < 0) {
        radiance = vec4(0);
        flow = motion(pixel, vec4(ray, 0));
        return;
    }

    // Barycentric coordinates of the ray (Moller and Trumbore 1997), and of the neighbouring pixels' for the footprint.
    Surface s = surface_at(seen, ray);
    vec3 edge_b = cross(s.ac, s.a), edge_c = cross(s.a, s.ab);
    float z = dot(s.across, s.a) / s.volume;
    vec2 w = vec2(dot(edge_b, ray), dot(edge_c, ray)) / s.volume;
    vec3 right = world_from_camera[0] / pinhole.x, down = world_from_camera[1] / pinhole.y;
    vec2 w_right = (vec2(dot(edge_b, right), dot(edge_c, right)) - w * dot(s.across, right)) / s.volume;
    vec2 w_down = (vec2(dot(edge_b, down), dot(edge_c, down)) - w * dot(s.across, down)) / s.volume;
    // A triangle seen edge on has no such point within; the nearest of its own will do.
    w = clamp(w, vec2(0), vec2(1));
    vec3 along = dot(world_from_camera[2], s.a) + vec3(0, dot(world_from_camera[2], s.ab), dot(world_from_camera[2], s.ac));
    z = clamp(z, min(along.x, min(along.y, along.z)), max(along.x, max(along.y, along.z)));
    vec3 weights = vec3(1 - w.x - w.y, w), x = eye + ray * z, past = x;

    if (s.corners.w >= still)
        past = mat3(uintBitsToFloat(texelFetch(before, place(s.corners.x), 0).xyz),
                    uintBitsToFloat(texelFetch(before, place(s.corners.y), 0).xyz),
                    uintBitsToFloat(texelFetch(before, place(s.corners.z), 0).xyz)) * weights;
    flow = motion(pixel, vec4(past, 1));

    uvec4 sa = texelFetch(attributes, place(s.corners.x), 0), sb = texelFetch(attributes, place(s.corners.y), 0), sc = texelFetch(attributes, place(s.corners.z), 0);
    vec2 ua = uintBitsToFloat(sa.xy), ub = uintBitsToFloat(sb.xy) - ua, uc = uintBitsToFloat(sc.xy) - ua;
    vec2 uv = ua + w.x * ub + w.y * uc;
    vec2 uv_right = w_right.x * ub + w_right.y * uc, uv_down = w_down.x * ub + w_down.y * uc;
    vec3 color = mat3(unpackHalf2x16(sa.z), unpackHalf2x16(sa.w).x, unpackHalf2x16(sb.z), unpackHalf2x16(sb.w).x,
                      unpackHalf2x16(sc.z), unpackHalf2x16(sc.w).x) * weights;

    vec4 tint = texelFetch(materials, ivec2(0, s.corners.w), 0); // colour, roughness
    vec4 kind = texelFetch(materials, ivec2(1, s.corners.w), 0); // -subsurface, metallic or 1 + emission; smooth; picture or -1; bump or -1
    float tile = texelFetch(materials, ivec2(2, s.corners.w), 0).x;
    color *= tint.rgb;
    if (kind.z >= 0) color *= textureGrad(pictures, vec3(uv, kind.z), uv_right, uv_down).rgb;

    float facing_eye = s.volume > 0 ? -1 : 1; // both sides are drawn
    vec3 plane = s.across * inversesqrt(dot(s.across, s.across) + 1e-30), n = plane;
    if (kind.y > 0) n = normalize(mat3(unpack_normal(s.normals.x), unpack_normal(s.normals.y), unpack_normal(s.normals.z)) * weights);
    if (kind.w >= 0) {
        // The surface's gradient of height (Mikkelsen 2010): the directions of u and v from the triangle, the slope from
        // the size of a tile.
        vec2 slope = textureGrad(slopes, vec3(uv, kind.w), uv_right, uv_down).xy / tile;
        vec3 along_u = cross(plane, s.ab * uc.x - s.ac * ub.x), along_v = cross(plane, s.ab * uc.y - s.ac * ub.y);
        n = normalize(n - slope.x * normalize(along_u + 1e-12) - slope.y * normalize(along_v + 1e-12));
    }
    n *= facing_eye;

    vec4 open = open_at(pixel, z, plane * facing_eye);
    float metallic = clamp(kind.x, 0, 1) * float(kind.x <= 1), soft = max(-kind.x, 0), roughness = tint.a;
    float cosine = clamp(dot(n, view), 0.02, 1), alpha = max(roughness * roughness, 0.003);
    vec3 f0 = mix(vec3(0.04), color, metallic);
    vec2 share = mirrored(roughness, cosine);
    vec3 gloss = f0 * share.x + share.y, albedo = color * (1 - metallic) * (1 - gloss);
    vec3 wrap = soft * vec3(0.9, 0.35, 0.2);
    radiance = vec4(color * max(kind.x - 1, 0) + albedo * (open.x * irradiance(n) + 3.5 * open.x * open.x * (1 - open.x) * bounce), z);
    vec3 mirror = reflect(-view, n);
    float gloss_open = open.x * mix(open.x, 1, alpha);
    radiance.rgb += gloss * gloss_open * texture(glossy, vec3(equirectangular(mirror), roughness * 7 / 8 + 0.0625)).rgb;

    for (int i = 0; i < lamps; ++i) {
        vec3 to = lamp_position[i] - x;
        float r2 = dot(to, to), r = sqrt(r2), nl = dot(n, to) / r, area = lamp_size[i] * lamp_size[i];
        // A disk of the lamp's area: exact on its axis (Howell's catalogue of view factors, B-13), and half of it below the
        // horizon lights half as much.
        float leaving = max(-dot(lamp_axis[i], to) / r, 0) / (r2 + area / PI), low = 0.5 * lamp_size[i] / r;
        // Light that entered beside the pixel: skin is lit beyond its terminator, in red farthest.
        vec3 wrapped = (nl + wrap) / ((1 + wrap) * (1 + wrap));
        vec3 facing = mix(max(wrapped, 0), (nl + low) * (nl + low) / (4 * low) + wrapped - nl, float(abs(nl) < low));
        // GGX at the point of the lamp that is nearest to the mirrored ray (Karis 2013).
        vec3 aside = dot(to, mirror) * mirror - to;
        float radius = lamp_size[i] / sqrt(PI), wide = min(alpha + 0.5 * radius / r, 1);
        vec3 l = normalize(to + aside * min(radius * inversesqrt(dot(aside, aside) + 1e-12), 1)), h = normalize(l + view);
        float nh = max(dot(n, h), 0), lh = max(dot(l, h), 0), q = nh * nh * (alpha * alpha - 1) + 1, k = 0.5 * alpha;
        float peak = alpha * alpha * alpha * alpha / (wide * wide * PI * q * q);
        nl = max(nl, 0);
        float visible = 1 / (4 * mix(nl, 1, k) * mix(cosine, 1, k));
        vec3 fresnel = f0 + (1 - f0) * exp2((-5.55473 * lh - 6.98316) * lh);
        // Red light goes farther within skin: the edge of a shadow is warm.
        float seen = open[i + 1];
        vec3 shadow = seen + soft * seen * (1 - seen) * vec3(1.5, 0, -0.3);
        radiance.rgb += lamp_power[i] * shadow * leaving * (albedo / PI * facing + fresnel * (peak * visible * nl));
    }
}
