"""SynthEmo: 600 SYNTHETIC utterances in four emotions, 150 each, 22.05 kHz
mono, which espeak-ng makes on the spot. No download, no licence, no
``--data_folder``: it shows that the training runs and learns, and nothing
else. An accuracy on it says nothing about people and is no result.

Ten voices of espeak-ng are the speakers; each says the same three sentences in
each of five languages with every emotion, so that neither the speaker nor the
text nor the language tells the label. A file is called
``f4_de_02_angry.wav``: speaker, language, sentence, emotion.

An emotion is a rule for four settings of the synthesizer, as a factor on
neutral speech (``RULES``):

======= ===== ====== =========== =========
emotion rate  pitch  pitch range amplitude
======= ===== ====== =========== =========
angry   1.15  1.10   1.30        1.60
happy   1.08  1.25   1.55        1.25
neutral 1.00  1.00   1.00        1.00
sad     0.86  0.93   0.65        0.70
======= ===== ====== =========== =========

The directions are those found in acted speech by Banse & Scherer (1996,
doi:10.1037/0022-3514.70.3.614) and, over 104 studies, by Juslin & Laukka
(2003, doi:10.1037/0033-2909.129.5.770), and used for synthesis by Murray &
Arnott (1993, doi:10.1121/1.405558) and Schröder (2001, Eurospeech): anger and
happiness are faster, higher, wider in pitch and louder than neutral speech,
anger the loudest and happiness the highest; sadness is the reverse. The sizes
are our own choice. So is the spread: every speaker has habits
(``SPEAKER_SPREAD``) and every utterance varies (``UTTERANCE_SPREAD``), so that
the classes overlap, as they do in real speech. Voice quality is left alone.

espeak-ng carries state from one utterance to the next (flutter, phase, gain),
which would make each file depend on those before it. The library is therefore
loaded anew for every utterance, which takes a millisecond: a file depends on
its own id alone.
"""
