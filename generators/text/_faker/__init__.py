"""Values drawn from Faker."""
