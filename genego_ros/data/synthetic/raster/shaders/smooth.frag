// Averages four values along a row or a column that belong to the same surface; the fourth number is depth.
#version 430

uniform sampler2D values;
uniform ivec2 step;

layout(location = 0) out vec4 mean;

void main() {
    ivec2 point = ivec2(gl_FragCoord.xy), last = textureSize(values, 0) - 1;
    vec4 own = texelFetch(values, point, 0);
    vec3 sum = own.rgb;
    float weights = 1, nearness = 50 / max(own.a, 1e-3);
    for (int i = -2; i < 2; ++i) {
        if (i == 0) continue;
        vec4 other = texelFetch(values, clamp(point + i * step, ivec2(0), last), 0);
        float weight = max(1 - abs(other.a - own.a) * nearness, 0);
        sum += weight * other.rgb;
        weights += weight;
    }
    mean = vec4(sum / weights, own.a);
}
