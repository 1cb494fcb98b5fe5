"""What is said of a sample: the fields that form, sidecar, folder names and result files share."""

SAMPLE_FIELDS = (
    "name",
    "sample_id",
    "material",
    "condition",
    "exposure_environment",
    "exposure_duration",
    "preparation",
    "thickness_um",
    "mounted_side",
    "orientation",
    "operator",
    "proposal",
    "institution",
    "comment",
)
"""In the order of the form; their labels are ``sample.<field>`` in the catalogue of words."""
