"""A language model as the policy over admissible phrases (TWOSOME, arXiv 2401.14151), and what it is compared with."""
