"""Operations and energy of a trained run."""
