"""Training of chains the way Q-NAS and Enhanced Q-NAS do it: recipe, Lightning module and task."""
