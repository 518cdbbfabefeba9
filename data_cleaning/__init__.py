"""Ontology functional dependencies: discover them, check tables with them, repair tables by them."""
