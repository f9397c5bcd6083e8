// Averages four values along a row or a column that belong to the same surface.
#version 430

uniform sampler2D values;
uniform sampler2D guides;        // normal, depth
uniform ivec2 step;

layout(location = 0) out vec4 mean;

void main() {
    ivec2 point = ivec2(gl_FragCoord.xy), last = textureSize(values, 0) - 1;
    vec4 sum = texelFetch(values, point, 0), own = texelFetch(guides, point, 0);
    float weights = 1, nearness = 50 / max(own.w, 1e-3);
    for (int i = -2; i < 2; ++i) {
        if (i == 0) continue;
        ivec2 at = clamp(point + i * step, ivec2(0), last);
        vec4 other = texelFetch(guides, at, 0);
        float weight = max(1 - abs(other.w - own.w) * nearness, 0) * clamp(2 * dot(other.xyz, own.xyz) - 1, 0, 1);
        sum += weight * texelFetch(values, at, 0);
        weights += weight;
    }
    mean = sum / weights;
}
