// What several shaders need: the camera, and the surface that a ray meets.

const int LAMPS = 3;

uniform sampler2D visible;       // triangle (-1: none) and depth (0: none) at every half pixel
uniform isampler2D triangles;    // three vertices, the mesh
uniform usampler2D here;         // vertices now: x, y, z as floats, normal packed
uniform vec3 eye;
uniform mat3 world_from_camera;
uniform vec4 pinhole;            // fx, fy, cx, cy
uniform int lamps;

struct Surface {
    ivec4 corners;               // three vertices, the mesh
    uvec3 normals;               // packed
    vec3 a, ab, ac;              // first corner from the eye, and the sides from there; world axes
    vec3 across;                 // of the triangle's plane, not unit
    float volume;                // dot(across, ray)
};

ivec2 place(int index) { return ivec2(index & 1023, index >> 10); }

// Octahedral coordinates (Cigolle et al. 2014).
vec3 unpack_normal(uint code) {
    vec2 e = unpackSnorm2x16(code);
    vec3 n = vec3(e, 1 - abs(e.x) - abs(e.y));
    float t = max(-n.z, 0);
    n.xy -= vec2(n.x < 0 ? -t : t, n.y < 0 ? -t : t);
    return n;
}

vec3 ray_through(vec2 pixel) { return vec3((pixel - pinhole.zw) / pinhole.xy, 1); }

Surface surface_at(int triangle, vec3 ray) {
    Surface s;
    s.corners = texelFetch(triangles, place(triangle), 0);
    uvec4 a = texelFetch(here, place(s.corners.x), 0), b = texelFetch(here, place(s.corners.y), 0), c = texelFetch(here, place(s.corners.z), 0);
    s.normals = uvec3(a.w, b.w, c.w);
    s.a = uintBitsToFloat(a.xyz) - eye;
    s.ab = uintBitsToFloat(b.xyz) - eye - s.a;
    s.ac = uintBitsToFloat(c.xyz) - eye - s.a;
    s.across = cross(s.ab, s.ac);
    s.volume = dot(s.across, ray);
    s.volume = abs(s.volume) < 1e-20 ? 1e-20 : s.volume;
    return s;
}
