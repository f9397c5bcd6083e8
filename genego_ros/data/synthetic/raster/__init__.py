"""The fast renderer: OpenGL without a window, on a graphics card or on the processor alone (Mesa's llvmpipe).

A picture is made in four steps. Triangles are drawn at every half pixel, noting only which one is seen
(visibility buffer, Burns and Hunt 2013). For every pixel's centre the surface there is worked out from its triangle,
then what it sees of its surroundings and of each lamp, then its radiance. Last, edges are made smooth from the
half-pixel samples. So the costly steps are done once a pixel, whatever lies behind it, and depth and flow are those
of pixel centres, never mixed at edges.
"""

from genego_ros.data.synthetic.raster.renderer import RasterRenderer

__all__ = ["RasterRenderer"]
