"""One structure in many volumes, on one machine or on a cluster, so that nothing finished is lost."""
