"""The paper's claims, each as statements that several trainings of every network support, contradict or leave open."""
