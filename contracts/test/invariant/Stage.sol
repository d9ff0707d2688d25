// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {SignerTest} from "../SignerTest.sol";
import {CallbackToken} from "../mocks/CallbackToken.sol";
import {HostileToken} from "../mocks/HostileToken.sol";
import {LyingToken} from "../mocks/LyingToken.sol";
import {MoodyToken} from "../mocks/MoodyToken.sol";
import {NoReturnToken} from "../mocks/NoReturnToken.sol";
import {Wallet} from "../mocks/Wallet.sol";
import {Witness} from "./Witness.sol";

/// @dev Who and what there is: senders, receivers and officers, and seven tokens, of which one only is plain.
abstract contract Stage is SignerTest {
    uint256 internal constant PLENTY = 1e30;
    uint256 private constant BPS = 10_000;
    /// @dev A token that needs so much is paid by a refund that has what it is promised, and by no other.
    uint256 private constant NEARLY_REFUND_GAS = 95_000;

    /// @dev Wallets with keys have these names; the last sender is a contract.
    string[3] internal senderNames = ["sender", "sender two", "sender three"];
    address[] internal senders;
    address[] internal receivers;
    address[2] internal operators;
    /// @dev Who has tokens in the ordinary course of things.
    address[] internal holders;
    /// @dev Everyone who could ever get a token from the escrow, if it let him.
    address[] internal accounts;

    MoodyToken internal moody;
    MoodyToken internal taxed;
    CallbackToken internal calling;
    HostileToken internal hostile;
    NoReturnToken internal silent;
    LyingToken internal lying;
    address[] internal assets;

    Witness internal witness;

    constructor() {
        setUp();
        witness = new Witness(address(escrow));
        cast();
        // The demo token of `setUp` is the plain one.
        moody = new MoodyToken("Moody", "MOOD", 0);
        taxed = new MoodyToken("Taxed", "TAX", 27);
        calling = new CallbackToken();
        hostile = new HostileToken();
        hostile.setGasNeeded(NEARLY_REFUND_GAS);
        hostile.setManner(HostileToken.Manner.Fair);
        silent = new NoReturnToken();
        lying = new LyingToken();
        assets = [
            address(token),
            address(moody),
            address(taxed),
            address(calling),
            address(hostile),
            address(silent),
            address(lying)
        ];
        for (uint256 i = 0; i < assets.length; ++i) {
            fund(assets[i]);
        }
    }

    function cast() private {
        for (uint256 i = 0; i < senderNames.length; ++i) {
            senders.push(actor(senderNames[i]));
        }
        senders.push(address(new Wallet(PASSWORD)));
        receivers = [receiver, actor("receiver two"), actor("receiver three")];
        operators = [operator, actor("operator two")];
        holders = [address(escrow)];
        for (uint256 i = 0; i < senders.length; ++i) {
            holders.push(senders[i]);
        }
        for (uint256 i = 0; i < receivers.length; ++i) {
            holders.push(receivers[i]);
        }
        accounts = [admin, guardian, operator, operators[1], stranger, address(witness)];
        accounts.push(actor("admin two"));
        accounts.push(actor("guardian two"));
        for (uint256 i = 0; i < holders.length; ++i) {
            accounts.push(holders[i]);
        }
    }

    function fund(address asset) private {
        for (uint256 i = 0; i < senders.length; ++i) {
            uint256 has = IERC20(asset).balanceOf(senders[i]);
            // Each of these tokens can be minted by whoever is on this stage.
            (bool minted,) = asset.call(abi.encodeCall(MoodyToken.mint, (senders[i], PLENTY - has)));
            assertTrue(minted);
            allow(asset, senders[i], type(uint256).max);
        }
    }

    function allow(address asset, address owner, uint256 amount) internal {
        vm.startPrank(owner);
        // Not every token answers.
        (bool allowed,) = asset.call(abi.encodeCall(IERC20.approve, (address(escrow), amount)));
        assertTrue(allowed);
        if (asset == address(token)) token.approve(PERMIT2, type(uint256).max);
        vm.stopPrank();
    }

    // ------------------------------------------------------- what tokens do at the moment

    /// @dev What is missing at the payee when so much is transferred.
    function feeOf(address asset, uint256 amount) internal view returns (uint256) {
        return asset == address(taxed) ? amount * taxed.feeBps() / BPS : 0;
    }

    /// @dev Whether the token refuses a transfer; of the one that lies nobody knows.
    function refuses(address asset, address from, address to) internal view returns (bool) {
        if (asset == address(moody)) {
            return moody.paused() || moody.returnFalse() || moody.blocked(from) || moody.blocked(to);
        }
        if (asset == address(calling)) {
            return witness.refusing() && (isTold(from) || isTold(to));
        }
        if (asset == address(hostile)) {
            HostileToken.Manner manner = hostile.manner();
            if (manner == HostileToken.Manner.NeedGas) return false;
            return manner >= HostileToken.Manner.BurnAllGas && manner <= HostileToken.Manner.OddAnswer;
        }
        return false;
    }

    function isTold(address account) internal view returns (bool) {
        return address(calling.hookOf(account)) != address(0);
    }

    /// @dev Whether an authorization meets a token that moves another amount than it was told to.
    function isInexact(address asset, uint256 amount) internal view returns (bool) {
        if (asset == address(taxed)) return feeOf(asset, amount) != 0;
        if (asset != address(hostile)) return false;
        HostileToken.Manner manner = hostile.manner();
        return manner == HostileToken.Manner.SendMore || manner == HostileToken.Manner.TakeFromEscrow;
    }

    function tellsNoBalance(address asset) internal view returns (bool) {
        return asset == address(hostile) && hostile.manner() == HostileToken.Manner.NoBalance;
    }
}
