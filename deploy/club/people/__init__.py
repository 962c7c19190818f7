"""The members to each other: profiles, interests, following, blocking, notices, moderation.

Services here are async functions of a transaction and `now`; they hold no state and read no
clock. What a person stored about themselves can be had (`export`) and taken back (`deletion`).
"""
