"""One training, many evaluations: the evaluator `supernet`, and the weights that all networks of a space share."""
