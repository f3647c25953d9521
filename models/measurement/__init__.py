"""What a trained network is worth: its accuracy, how long a call takes, what its file weighs."""
