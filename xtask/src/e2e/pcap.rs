//! Writes a recording as a capture file that Wireshark reads.
//!
//! The format: <https://datatracker.ietf.org/doc/html/draft-ietf-opsawg-pcap>, with raw IP packets
//! (link type 101).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};

use super::relay::{Datagram, Direction, Recording};

const MAGIC: u32 = 0xa1b2_c3d4;
const LINK_TYPE_RAW: u32 = 101;
const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
const PROTOCOL_UDP: u8 = 17;

/// The capture file of `recording`, as from the wire between sender and server.
pub(crate) fn file(recording: &Recording) -> Result<Vec<u8>> {
    let sender = recording.sender.context("the recording has no sender")?;
    let server = recording.server.context("the recording has no server")?;
    let mut out = Vec::new();
    out.extend(MAGIC.to_le_bytes());
    out.extend(2_u16.to_le_bytes());
    out.extend(4_u16.to_le_bytes());
    out.extend([0; 8]);
    out.extend(65_535_u32.to_le_bytes());
    out.extend(LINK_TYPE_RAW.to_le_bytes());
    for datagram in &recording.datagrams {
        let (from, to) = match datagram.direction {
            Direction::ToServer => (sender, server),
            Direction::ToSender => (server, sender),
        };
        let packet = ip_packet(datagram, from, to)?;
        let length = u32::try_from(packet.len()).context("a datagram's length")?;
        out.extend(
            u32::try_from(datagram.at_unix_us / 1_000_000).context("a datagram's time")?.to_le_bytes(),
        );
        out.extend(((datagram.at_unix_us % 1_000_000) as u32).to_le_bytes());
        out.extend(length.to_le_bytes());
        out.extend(length.to_le_bytes());
        out.extend(packet);
    }
    Ok(out)
}

/// [RFC 791 §3.1](https://www.rfc-editor.org/rfc/rfc791#section-3.1),
/// [RFC 768](https://www.rfc-editor.org/rfc/rfc768).
fn ip_packet(datagram: &Datagram, from: SocketAddr, to: SocketAddr) -> Result<Vec<u8>> {
    let udp_length = UDP_HEADER + datagram.bytes.len();
    let total = u16::try_from(IP_HEADER + udp_length).context("a datagram's length")?;
    let mut packet = Vec::with_capacity(total.into());
    packet.extend([0x45, 0]);
    packet.extend(total.to_be_bytes());
    packet.extend([0, 0, 0x40, 0, 64, PROTOCOL_UDP, 0, 0]);
    packet.extend(v4(from)?.octets());
    packet.extend(v4(to)?.octets());
    let checksum = ip_checksum(&packet);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend(from.port().to_be_bytes());
    packet.extend(to.port().to_be_bytes());
    packet.extend((udp_length as u16).to_be_bytes());
    // No checksum, which UDP over IPv4 allows.
    packet.extend([0, 0]);
    packet.extend(&datagram.bytes);
    Ok(packet)
}

fn v4(address: SocketAddr) -> Result<Ipv4Addr> {
    match address.ip() {
        IpAddr::V4(ip) => Ok(ip),
        IpAddr::V6(ip) => anyhow::bail!("{ip} is not an IPv4 address"),
    }
}

fn ip_checksum(header: &[u8]) -> u16 {
    let sum: u32 = header.as_chunks::<2>().0.iter().map(|&pair| u32::from(u16::from_be_bytes(pair))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !(((folded & 0xffff) + (folded >> 16)) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_becomes_one_ip_packet_with_a_valid_header() {
        let datagram =
            Datagram { at_unix_us: 5_000_007, direction: Direction::ToServer, bytes: vec![0x80, 1, 2] };
        let recording = Recording {
            sender: Some("127.0.0.1:5000".parse().unwrap()),
            server: Some("127.0.0.2:6000".parse().unwrap()),
            datagrams: vec![datagram],
            ..Recording::default()
        };
        let file = file(&recording).unwrap();
        assert_eq!(file.len(), 24 + 16 + IP_HEADER + UDP_HEADER + 3);
        assert_eq!(file[24..32], [5, 0, 0, 0, 7, 0, 0, 0]);
        let packet = &file[40..];
        assert_eq!(ip_checksum(&packet[..IP_HEADER]), 0);
        assert_eq!(packet[20..24], [0x13, 0x88, 0x17, 0x70]);
        assert_eq!(packet[28..], [0x80, 1, 2]);
    }
}
