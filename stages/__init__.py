"""The stages of dvc.yaml: one short module a stage; each reads params.yaml, calls the libraries and writes its outs."""
