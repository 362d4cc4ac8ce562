"""What a trained network predicts under the noises (section 3.4), recorded, and the accuracies that follow."""
