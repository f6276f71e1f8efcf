"""Groups of replicas that train together: what all of them share, and the vectorised engine for networks of any kind."""
