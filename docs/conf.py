"""How Sphinx builds the pages in this folder; ``nox -s docs`` does it."""

from __future__ import annotations

import importlib.metadata

project = "cwagent_iam"
author = "The cwagent_iam authors"
project_copyright = author
release = version = importlib.metadata.version("cwagent-iam")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"cwagent_iam {release}"

myst_heading_anchors = 3

default_role = "py:obj"  # what the single backticks in docstrings mean
add_module_names = False
autodoc_preserve_defaults = True
maximum_signature_line_length = 88
napoleon_attr_annotations = False  # the types are in the signature already
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # otherwise each attribute would have an entry of its own

# There is no intersphinx, because the build must not need the network.
nitpick_ignore = [
    ("py:class", "boto3.Session"),  # described by boto3
    ("py:obj", "boto3.Session"),
    ("py:class", "timedelta"),  # described by Python
    ("py:obj", "datetime.timedelta"),
    ("py:class", "cwagent_iam.state.EntityT"),  # a type variable: "the kind that was asked for"
    ("py:obj", "False"),  # Sphinx knows `None`, but neither of these
    ("py:obj", "True"),
]
