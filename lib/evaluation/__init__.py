"""What a trained network answers under the noises (section 3.4), recorded, and the accuracies that follow."""
