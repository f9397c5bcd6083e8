// What lies at a pixel's centre: the triangle's plane is intersected with the pixel's ray, so that depth, motion and
// texture coordinates are exact and do not depend on how a triangle was rasterised.
#version 430

uniform sampler2D visible;       // triangle at every half pixel, -1 where there is none
uniform isampler2D triangles;    // three vertices, the mesh
uniform usampler2D here;         // vertices now: x, y, z as floats, normal packed
uniform usampler2D before;       // and at the moment before
uniform usampler2D attributes;   // u, v as floats, colour packed
uniform sampler2D materials;     // three texels a mesh
uniform sampler2DArray pictures; // linear RGB
uniform sampler2DArray slopes;   // height over texture coordinate, metres

uniform vec3 eye;
uniform mat3 world_from_camera;
uniform vec4 pinhole;            // fx, fy, cx, cy
uniform mat4 previous;           // the previous camera from the world, rigid

layout(location = 0) out vec4 base;    // colour, roughness
layout(location = 1) out vec4 shape;   // normal; -subsurface, metallic, or 1 + emission
layout(location = 2) out vec2 flow;    // pixels since the previous moment
layout(location = 3) out float depth;  // metres along z, 0 where nothing is

ivec2 place(int index) { return ivec2(index & 1023, index >> 10); }

vec3 normal_of(uint code) {
    vec2 e = unpackSnorm2x16(code);
    vec3 n = vec3(e, 1 - abs(e.x) - abs(e.y));
    float t = max(-n.z, 0);
    n.xy -= vec2(n.x < 0 ? -t : t, n.y < 0 ? -t : t);
    return normalize(n);
}

vec2 motion(vec2 pixel, vec4 point) {
    vec3 x = (previous * point).xyz;
    return x.z > 0.01 ? pixel - (pinhole.xy * x.xy / x.z + pinhole.zw) : vec2(0);
}

void main() {
    ivec2 pixel = ivec2(gl_FragCoord.xy);
    int seen = int(texelFetch(visible, 2 * pixel + 1, 0).r);
    vec3 ray = world_from_camera * vec3((vec2(pixel) - pinhole.zw) / pinhole.xy, 1);
    if (seen < 0) {
        flow = motion(pixel, vec4(ray, 0));
        base = vec4(0);
        shape = vec4(0);
        depth = 0;
        return;
    }
    ivec4 t = texelFetch(triangles, place(seen), 0);
    uvec4 pa = texelFetch(here, place(t.x), 0), pb = texelFetch(here, place(t.y), 0), pc = texelFetch(here, place(t.z), 0);
    vec3 a = uintBitsToFloat(pa.xyz) - eye, b = uintBitsToFloat(pb.xyz) - eye, c = uintBitsToFloat(pc.xyz) - eye;
    vec3 ab = b - a, ac = c - a, n = cross(ab, ac);
    // Barycentric coordinates of the ray (Moller and Trumbore 1997), and of the neighbouring pixels' for the footprint.
    float volume = dot(n, ray);
    volume = abs(volume) < 1e-20 ? 1e-20 : volume;
    vec3 edge_b = cross(ac, a), edge_c = cross(a, ab);
    float z = dot(n, a) / volume;
    vec2 w = vec2(dot(edge_b, ray), dot(edge_c, ray)) / volume;
    vec3 right = world_from_camera[0] / pinhole.x, down = world_from_camera[1] / pinhole.y;
    vec2 w_right = (vec2(dot(edge_b, right), dot(edge_c, right)) - w * dot(n, right)) / volume;
    vec2 w_down = (vec2(dot(edge_b, down), dot(edge_c, down)) - w * dot(n, down)) / volume;
    // A triangle seen edge on has no such point within; the nearest of its own will do.
    w = clamp(w, vec2(0), vec2(1));
    vec3 forward = world_from_camera[2], along = vec3(dot(forward, a), dot(forward, b), dot(forward, c));
    z = clamp(z, min(along.x, min(along.y, along.z)), max(along.x, max(along.y, along.z)));
    float w_a = 1 - w.x - w.y;

    vec3 q = w_a * uintBitsToFloat(texelFetch(before, place(t.x), 0).xyz)
           + w.x * uintBitsToFloat(texelFetch(before, place(t.y), 0).xyz)
           + w.y * uintBitsToFloat(texelFetch(before, place(t.z), 0).xyz);
    flow = motion(pixel, vec4(q, 1));

    uvec4 sa = texelFetch(attributes, place(t.x), 0), sb = texelFetch(attributes, place(t.y), 0), sc = texelFetch(attributes, place(t.z), 0);
    vec2 ua = uintBitsToFloat(sa.xy), ub = uintBitsToFloat(sb.xy) - ua, uc = uintBitsToFloat(sc.xy) - ua;
    vec2 uv = ua + w.x * ub + w.y * uc;
    vec2 uv_right = w_right.x * ub + w_right.y * uc, uv_down = w_down.x * ub + w_down.y * uc;
    vec3 color = w_a * vec3(unpackHalf2x16(sa.z), unpackHalf2x16(sa.w).x)
               + w.x * vec3(unpackHalf2x16(sb.z), unpackHalf2x16(sb.w).x)
               + w.y * vec3(unpackHalf2x16(sc.z), unpackHalf2x16(sc.w).x);

    vec4 tint = texelFetch(materials, ivec2(0, t.w), 0); // colour, roughness
    vec4 kind = texelFetch(materials, ivec2(1, t.w), 0); // shape's fourth number, smooth, picture or -1, bump or -1
    float tile = texelFetch(materials, ivec2(2, t.w), 0).x;
    color *= tint.rgb;
    if (kind.z >= 0) color *= textureGrad(pictures, vec3(uv, kind.z), uv_right, uv_down).rgb;

    vec3 flat_normal = normalize(n);
    vec3 normal = kind.y > 0 ? normalize(w_a * normal_of(pa.w) + w.x * normal_of(pb.w) + w.y * normal_of(pc.w)) : flat_normal;
    if (kind.w >= 0) {
        // The surface's gradient of height (Mikkelsen 2010): the directions of u and v from the triangle, the slope from
        // the size of a tile.
        vec2 slope = textureGrad(slopes, vec3(uv, kind.w), uv_right, uv_down).xy / tile;
        vec3 along_u = cross(flat_normal, ab * uc.x - ac * ub.x), along_v = cross(flat_normal, ab * uc.y - ac * ub.y);
        normal = normalize(normal - slope.x * normalize(along_u + 1e-12) - slope.y * normalize(along_v + 1e-12));
    }
    if (dot(flat_normal, ray) > 0) normal = -normal; // both sides are drawn

    base = vec4(color, tint.a);
    shape = vec4(normal, kind.x);
    depth = z;
}
