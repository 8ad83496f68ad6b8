"""Properties of Pusher's output artifact, in addition to TFX's own.

The names are those that earlier releases stored, so that `regraft history` can read their runs.
"""

ROLLED_BACK = "withdrawn_version"  # the version that the candidate was until it was rolled back
CURRENT = "standing_version"  # the current version, if the candidate is that model already
SAME_ANSWERS = "same_answers_as"  # the current version, if the candidate gives the same answers as it
BLESSED_ANYWAY = "blessed_anyway"  # why the candidate was pushed although it is not blessed
REFUSED_BY = "refused_by"  # the checks that refused the candidate, separated by `, `; their names are:

GATE, SERVING_CHECK, TF_SERVING = "gate", "serving check", "TF Serving"
