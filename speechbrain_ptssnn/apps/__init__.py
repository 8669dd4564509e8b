"""What people look at: pages and timelines made with a trained model."""
