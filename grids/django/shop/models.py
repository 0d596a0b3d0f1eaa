"""Things that are sold, and what was sold of them."""

from django.db import models


class Thing(models.Model):
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=20, db_index=True)
    cents = models.PositiveIntegerField()


class Sale(models.Model):
    thing = models.ForeignKey(Thing, on_delete=models.CASCADE, related_name="sales")
    pieces = models.PositiveIntegerField()
