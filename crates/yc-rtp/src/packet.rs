//! One RTP packet.
