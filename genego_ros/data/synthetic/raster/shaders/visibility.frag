// Which triangle is seen at a sample, and its depth; a float32 holds the first 16 million numbers exactly.
#version 430

uniform int first;
layout(location = 0) out vec2 seen;

void main() {
    seen = vec2(first + gl_PrimitiveID, 1 / gl_FragCoord.w);
}
