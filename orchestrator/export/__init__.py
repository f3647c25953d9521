"""What a study found, carried to other tools: TensorBoard, MLflow, and an archive to put beside a paper.

`runs` says what there is to carry, as plain data; each tool has a module, which alone imports its library, and only
when it is asked for.  Nothing here changes a home.
"""
