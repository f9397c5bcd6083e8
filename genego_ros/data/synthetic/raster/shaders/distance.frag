// Distance along a lamp's axis: its shadow map.
#version 430

layout(location = 0) out float distance;

void main() {
    distance = 1 / gl_FragCoord.w;
}
