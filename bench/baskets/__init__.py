"""The smallest stateful service: it adds up what is put into baskets. Bare loops and peers do the same."""
