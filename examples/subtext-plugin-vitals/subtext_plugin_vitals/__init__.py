"""Slow pages for Subtext: Core Web Vitals of real visits, as a report and as evidence for the mood."""
