"""How commands look: tables that fit, help that is whole, and answers for programs."""
