"""The hall: which rooms there are for whom, in which order, and the plans for rooms to come.

`access` says who may enter and who may see, `ranking` in which order, `plans` reads what a form
asks for, `friends` whom one may ask to come, `opening` begins and ends rooms, `attending` and
`reminders` look after those who come, `icalendar` writes the calendar file, `listing` reads what
`pages` shows.
"""
