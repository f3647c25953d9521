"""A person's own Python code, named in a study by its file: `my_nets.py:build`.

    reference    the name: which file, which function, and which contents
    bundle       the file, or the whole package that it belongs to, as one piece that travels
    inspection   what is wrong with it, as far as that can be known without running it
    importing    running it, under a name that follows from its contents

What a network of a person's own must be stands in `models.architectures.own_network`, data in
`models.datasets.own_arrays`.  Nothing here needs more than Python.
"""
