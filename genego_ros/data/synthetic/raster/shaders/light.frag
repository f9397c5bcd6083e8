// Radiance towards the camera: Lambert and GGX under the environment and the lamps.
#version 430

const int LAMPS = 3;

uniform sampler2D bases;
uniform sampler2D shapes;
uniform sampler2D depths;
uniform sampler2D opens;
uniform sampler2D sky;            // the environment itself, for the background
uniform sampler3D glossy;         // the environment as surfaces of growing roughness mirror it

uniform vec3 eye;
uniform mat3 world_from_camera;
uniform vec4 pinhole;
uniform float turn;
uniform vec3 harmonics[9];        // irradiance over pi
uniform int lamps;
uniform vec3 lamp_position[LAMPS];
uniform vec3 lamp_axis[LAMPS];
uniform vec3 lamp_power[LAMPS];   // radiant intensity along the axis
uniform float lamp_size[LAMPS];

layout(location = 0) out vec4 radiance;

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

// Occlusion that lets pale surfaces light each other (Jimenez et al. 2016).
vec3 among_colored(float open, vec3 albedo) {
    vec3 a = 2.0404 * albedo - 0.3324, b = -4.7951 * albedo + 0.6417, c = 2.7552 * albedo + 0.6903;
    return max(vec3(open), ((open * a + b) * open + c) * open);
}

void main() {
    ivec2 pixel = ivec2(gl_FragCoord.xy);
    vec3 ray = world_from_camera * vec3((vec2(pixel) - pinhole.zw) / pinhole.xy, 1);
    vec3 view = -normalize(ray);
    float z = texelFetch(depths, pixel, 0).r;
    // A loop, since llvmpipe leaves one where no pixel needs it but computes both sides of a branch.
    for (int i = 0; i < int(z == 0); ++i) {
        float lod = log2(max(textureSize(sky, 0).x / (2 * PI * pinhole.x), 1));
        radiance = vec4(textureLod(sky, equirectangular(-view), lod).rgb, 0);
    }
    if (z == 0) return;
    vec4 base = texelFetch(bases, pixel, 0), shape = texelFetch(shapes, pixel, 0), open = texelFetch(opens, pixel, 0);
    vec3 n = normalize(shape.xyz), x = eye + ray * z;
    float metallic = clamp(shape.w, 0, 1) * float(shape.w <= 1), soft = max(-shape.w, 0);
    vec3 emitted = base.rgb * max(shape.w - 1, 0);
    float cosine = clamp(dot(n, view), 0.02, 1), alpha = max(base.a * base.a, 0.003);
    vec3 f0 = mix(vec3(0.04), base.rgb, metallic);
    vec2 share = mirrored(base.a, cosine);
    vec3 gloss = f0 * share.x + share.y, albedo = base.rgb * (1 - metallic) * (1 - gloss);

    vec3 around = among_colored(open.x, base.rgb);
    vec3 wrap = soft * vec3(0.9, 0.35, 0.2);
    radiance = vec4(emitted + albedo * around * irradiance(n), 1);
    vec3 mirror = reflect(-view, n);
    float gloss_open = clamp(pow(cosine + open.x, exp2(-16 * alpha - 1)) - 1 + open.x, 0, 1);
    radiance.rgb += gloss * gloss_open * texture(glossy, vec3(equirectangular(mirror), base.a * 7 / 8 + 0.0625)).rgb;

    for (int i = 0; i < lamps; ++i) {
        vec3 to = lamp_position[i] - x;
        float r2 = dot(to, to), r = sqrt(r2), nl = dot(n, to) / r, area = lamp_size[i] * lamp_size[i];
        // A disk of the lamp's area: exact on its axis (Howell's catalogue of view factors, B-13), and half of it below the
        // horizon lights half as much.
        float leaving = max(-dot(lamp_axis[i], to) / r, 0) / (r2 + area / PI), low = 0.5 * lamp_size[i] / r;
        // Light that entered beside the pixel: skin is lit beyond its terminator, in red farthest.
        vec3 wrapped = (nl + wrap) / ((1 + wrap) * (1 + wrap));
        vec3 facing = mix(max(wrapped, 0), (nl + low) * (nl + low) / (4 * low) + wrapped - nl, float(abs(nl) < low));
        vec3 h = normalize(to / r + view);
        // GGX; a lamp's extent widens the highlight (Karis 2013).
        float wide = clamp(alpha + 0.3 * lamp_size[i] / r, 0, 1), nh = max(dot(n, h), 0), lh = max(dot(to, h) / r, 0);
        float q = nh * nh * (wide * wide - 1) + 1, peak = wide * wide / (PI * q * q), k = 0.5 * alpha;
        nl = max(nl, 0);
        float visible = 1 / (4 * mix(nl, 1, k) * mix(cosine, 1, k));
        vec3 fresnel = f0 + (1 - f0) * exp2((-5.55473 * lh - 6.98316) * lh);
        // Red light goes farther within skin: the edge of a shadow is warm.
        float seen = open[i + 1];
        vec3 shadow = seen + soft * seen * (1 - seen) * vec3(1.5, 0, -0.3);
        radiance.rgb += lamp_power[i] * shadow * leaving * (albedo / PI * facing + fresnel * (peak * visible * nl));
    }
}
