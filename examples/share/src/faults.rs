//! Making the share fail on a script: `--fault`, in builds with the feature `fault-injection`. Other builds pass
//! everything through.

use clap::Args;
#[cfg(feature = "fault-injection")]
use yc_sender::fault::{FaultScript, Faults};
use yc_sender::{Backends, PacketTransport};

/// What of the command line is about faults.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FaultArgs {
    /// Make a part of the share fail, for tests: STAGE[#INDEX].CALL[@WHEN]=WHAT, for example
    /// "capture.frame@1+2s=fail:device_lost". Several are separated by ";"; may be repeated. See
    /// docs/fault-injection.md.
    #[cfg(feature = "fault-injection")]
    #[arg(long = "fault", value_name = "SCRIPT")]
    scripts: Vec<FaultScript>,
}

/// The scripts of the command line at work. Whatever they hang goes on when it is dropped.
#[derive(Debug)]
pub(crate) struct Injection {
    #[cfg(feature = "fault-injection")]
    faults: Faults,
}

#[cfg(feature = "fault-injection")]
impl Injection {
    /// Times in the scripts count from here.
    pub(crate) fn new(args: &FaultArgs) -> Self {
        let all = args.scripts.iter().cloned().fold(FaultScript::new(), FaultScript::followed_by);
        Self { faults: Faults::new(all) }
    }

    pub(crate) fn backends(&self, backends: Backends) -> Backends {
        self.faults.backends(backends)
    }

    pub(crate) fn transport(&self, transport: Box<dyn PacketTransport>) -> Box<dyn PacketTransport> {
        self.faults.transport(transport)
    }
}

#[cfg(not(feature = "fault-injection"))]
impl Injection {
    pub(crate) fn new(_: &FaultArgs) -> Self {
        Self {}
    }

    pub(crate) fn backends(&self, backends: Backends) -> Backends {
        backends
    }

    pub(crate) fn transport(&self, transport: Box<dyn PacketTransport>) -> Box<dyn PacketTransport> {
        transport
    }
}

#[cfg(all(test, feature = "fault-injection"))]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::Args;

    #[test]
    fn repeated_scripts_are_one_script() {
        let args = [
            "yc-share",
            "--list",
            "--fault",
            "encoder.open=hang; capture.open=hang",
            "--fault",
            "transport.send@/9=drop",
        ];
        let args = Args::try_parse_from(args).unwrap();
        let injection = Injection::new(&args.faults);
        let script = "encoder.open=hang; capture.open=hang; transport.send@/9=drop";
        assert_eq!(injection.faults.script().to_string(), script);
    }

    #[test]
    fn a_bad_script_is_named_with_its_place() {
        let error = Args::try_parse_from(["yc-share", "--list", "--fault", "encoder.opn=hang"]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("character 9") && text.contains("encoder.open"), "{text}");
    }
}
