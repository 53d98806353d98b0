"""How the documentation is built: offline, with every warning an error."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "linerefine"
author = "linerefine contributors"
copyright = "linerefine contributors, MIT licence"  # noqa: A001 - Sphinx' name
release = importlib.metadata.version("linerefine")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_design",
    "linerefine_docs",
    "linerefine_tutorials",
]

root_doc = "index"
# Included by pages, not pages themselves.
exclude_patterns = ["_build", "reference/generated", "tutorial/generated", "tutorial/leaves"]
nitpicky = True
# Built offline, so without the inventories of other libraries.
nitpick_ignore_regex = [(r"py:.*", r"(collections|numpy|pandas|pydantic|torch|typing)\..*")]
default_role = "literal"  # single backticks in docstrings mark code

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3
smartquotes_action = "qe"  # no dashes: options begin with two hyphens

# Docstrings say shape, unit and axis order; a bare `NDArray` says less.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

html_theme = "pydata_sphinx_theme"
html_title = "linerefine"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_context = {"default_mode": "auto"}  # else the theme logs an error on a first visit
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
linkcheck_timeout = 20
