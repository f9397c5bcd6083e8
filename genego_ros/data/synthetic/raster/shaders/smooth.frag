// Averages four values along a row or a column that belong to the same surface.
#version 430

uniform sampler2D values;
uniform sampler2D depths;
uniform ivec2 step;

layout(location = 0) out vec4 mean;

void main() {
    ivec2 pixel = ivec2(gl_FragCoord.xy), last = textureSize(depths, 0) - 1;
    float z = texelFetch(depths, pixel, 0).r;
    vec4 sum = vec4(0);
    float weights = 0;
    for (int i = -2; i < 2; ++i) {
        ivec2 at = clamp(pixel + i * step, ivec2(0), last);
        float off = abs(texelFetch(depths, at, 0).r - z) / max(z, 1e-3);
        float weight = i == 0 ? 1 : max(1 - off / 0.02, 0);
        sum += weight * texelFetch(values, at, 0);
        weights += weight;
    }
    mean = sum / weights;
}
