"""The parts of `benchmarks/campaign.py`, a month of a study's misfortunes in fast motion.

`schedule` says what strikes when (a pure function of the seed), `processes`, `files`, `directory`, `postgresql` and
`drive` how it strikes, `crew` who works meanwhile, `trial` goes through one study, `verdict` judges what came of it and
`tally` counts.  `stand_in` is what makes the motion fast: a runner that computes something at once that is as sensitive
to a lost, doubled or reordered step as weights are.
"""
