// Triangles of the world into the clip space of a camera or a lamp.
#version 430

in vec3 position;
uniform mat4 clip_from_world;

void main() {
    gl_Position = clip_from_world * vec4(position, 1);
}
