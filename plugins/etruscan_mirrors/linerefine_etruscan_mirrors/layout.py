"""What folders and files of a collection are called; imports no NumPy, as options must not."""

from __future__ import annotations

from pydantic import Field

from linerefine.config import Options

__all__ = ["Layout"]


class Layout(Options):
    """Names of the folders and files of a collection of scans."""

    scans: str = Field("PS", description="Folder of the scans inside an object's folder.")
    drawings: str = Field("drawings", description="Folder of the traced lines.")
    masks: str = Field("masks", description="Folder of the object masks.")
    normals_suffix: str = Field("_N.tif", min_length=1, description="End of a normal map's name.")
    albedo_suffix: str = Field("_RHO.tif", min_length=1, description="End of an albedo's name.")
    depth_suffix: str = Field("_U.tif", min_length=1, description="End of a depth map's name.")
    drawing_suffix: str = Field(
        "_drawings.png", min_length=1, description="End of a drawing's name."
    )
    mask_suffix: str = Field("_mask.png", min_length=1, description="End of an object mask's name.")

    @property
    def scan_suffixes(self) -> tuple[str, str, str]:
        """Ends of the three files of a scan: normals, albedo, depth."""
        return self.normals_suffix, self.albedo_suffix, self.depth_suffix
