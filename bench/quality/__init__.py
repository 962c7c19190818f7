"""What a listener decodes when packets are lost, scored by PESQ: `python -m bench.quality`.

Speech is encoded by libopus, goes as SRTP through the real forwarder and over a line that loses
packets into a jitter buffer and libopus's decoder, and what comes out is compared with what went in
(ITU-T P.862.2). Time is virtual and every seed is fixed: the same command tells the same.
"""
