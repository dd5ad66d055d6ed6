"""A sweep: many trainings of one experiment with other settings, and the settings that recognise best."""
