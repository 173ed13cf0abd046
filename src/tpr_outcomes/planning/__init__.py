"""What the next study needs: clinics whose truth is known, and what a plan would find in them."""
