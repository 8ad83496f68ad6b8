"""Properties of Pusher's output artifact, beside those of TFX."""

WITHDRAWN = "withdrawn_version"  # the version that the candidate was until that was rolled back
STANDING = "standing_version"  # the current version, if it is this very candidate already, pushed anew or not
OVERRIDDEN = "blessed_anyway"  # why it was pushed though it was not blessed
REFUSED_BY = "refused_by"  # who refused it, of these:

GATE, SERVING_CHECK, TF_SERVING = "gate", "serving check", "TF Serving"
