// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {SignerTest} from "./SignerTest.sol";
import {PermitToken} from "./mocks/PermitToken.sol";
import {Wallet} from "./mocks/Wallet.sol";

/// @dev Kind 2: an ERC-2612 permit, then the terms. The sender of these tests has allowed nothing beforehand.
contract ConsentPermitTest is SignerTest {
    PermitToken private permitting;

    function setUp() public override {
        super.setUp();
        permitting = new PermitToken();
        permitting.mint(sender, FUNDS);
        vm.prank(sender);
        token.approve(address(escrow), 0);
    }

    function test_TwoSignaturesAndNoEarlierStepLockAHold() public {
        IPreauthEscrow.Terms memory terms = unregistered(address(token));
        authorize(terms, consentOf(terms, "sender"));
        assertHeld(terms);
        assertEq(token.allowance(sender, address(escrow)), 0);
    }

    function test_ASenderWhoDemandsSignaturesIsServed() public {
        vm.prank(sender);
        escrow.requireSignedConsent(true);
        IPreauthEscrow.Terms memory terms = someTerms();
        authorize(terms, consentOf(terms, "sender"));
        assertHeld(terms);
    }

    // ------------------------------------------------------------- what is signed

    function test_BothSignaturesBindEachField() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        assertBindsEachField(terms, consentOf(terms, "sender"));
    }

    function test_APermitAloneIsNoConsent() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        bytes memory permitSignature = ecdsa(permitDigest(terms), "sender");
        bytes[4] memory others = [
            bytes(""),
            permitSignature,
            ecdsa(escrow.consentDigest(terms), "stranger"),
            ecdsa(escrow.hashTerms(terms), "sender")
        ];
        for (uint256 i = 0; i < others.length; ++i) {
            assertRefused(terms, byPermit(permitSignature, others[i]), IPreauthEscrow.InvalidConsent.selector);
        }
    }

    function test_TheTermsWithoutAPermitNeedAnAllowance() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        bytes memory consent =
            byPermit(ecdsa(permitDigest(terms), "stranger"), ecdsa(escrow.consentDigest(terms), "sender"));
        assertRefused(
            terms,
            consent,
            abi.encodeWithSelector(IERC20Errors.ERC20InsufficientAllowance.selector, address(escrow), 0, HOLD)
        );

        vm.prank(sender);
        token.approve(address(escrow), HOLD);
        authorize(terms, consent);
        assertHeld(terms);
    }

    function test_NothingIsWorthAnythingOnAnotherChainOrEscrow() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        bytes memory consent = consentOf(terms, "sender");
        IPreauthEscrow other = anotherEscrow();
        refused(operator, IPreauthEscrow.InvalidConsent.selector);
        other.authorize(terms, consent);

        vm.chainId(block.chainid + 1);
        assertRefused(terms, consent, IPreauthEscrow.InvalidConsent.selector);
    }

    function test_ACutPayloadIsRejected() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        bytes memory consent = consentOf(terms, "sender");
        for (uint256 length = 1; length < consent.length; ++length) {
            bytes memory cut = new bytes(length);
            for (uint256 i = 0; i < length; ++i) {
                cut[i] = consent[i];
            }
            assertRefused(terms, cut, IPreauthEscrow.InvalidConsent.selector);
        }
    }

    // ---------------------------------------------------------- a permit that fails

    function test_APermitThatSomebodyElseUsedFirstDoesNoHarm() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf("sender"), permitDigest(terms));
        bytes memory consent = consentOf(terms, "sender");
        vm.prank(stranger);
        token.permit(sender, address(escrow), HOLD, terms.expiresAt, v, r, s);

        authorize(terms, consent);
        assertHeld(terms);
        assertEq(token.allowance(sender, address(escrow)), 0);
    }

    function test_APermitThatFailsDoesNoHarmWhereThereIsAnAllowance() public {
        vm.prank(sender);
        permitting.approve(address(escrow), type(uint256).max);
        PermitToken.Manner[2] memory manners = [PermitToken.Manner.Refuse, PermitToken.Manner.RevertBomb];
        for (uint256 i = 0; i < manners.length; ++i) {
            permitting.setManner(manners[i]);
            IPreauthEscrow.Terms memory terms = unregistered(address(permitting));
            bytes memory consent = consentOf(terms, "sender");
            vm.prank(operator);
            escrow.authorize{gas: 5_000_000}(terms, consent);
            assertStatus(terms, IPreauthEscrow.Status.Open);
        }
    }

    function test_TheSamePermitTwiceIsUsedOnce() public {
        IPreauthEscrow.Terms memory first = someTerms();
        IPreauthEscrow.Terms memory second = someTerms();
        bytes memory permitSignature = ecdsa(permitDigest(first), "sender");
        authorize(first, byPermit(permitSignature, ecdsa(escrow.consentDigest(first), "sender")));
        assertRefused(second, byPermit(permitSignature, ecdsa(escrow.consentDigest(second), "sender")));
    }

    // ------------------------------------------------------------- contract wallets

    function test_AContractWalletSignsThePermitAsOnePiece() public {
        (, IPreauthEscrow.Terms memory terms) = someWallet(address(permitting));
        authorize(terms, byPermit(byPassword(permitDigest(terms)), byPassword(escrow.consentDigest(terms))));
        assertHeld(terms);
    }

    function test_AContractWalletThatRefusesIsNotPulledFrom() public {
        (Wallet wallet, IPreauthEscrow.Terms memory terms) = someWallet(address(permitting));
        bytes memory permitSignature = byPassword(permitDigest(terms));
        bytes memory signature = byPassword(escrow.consentDigest(terms));
        assertRefused(terms, byPermit(permitSignature, byPassword(escrow.hashTerms(terms))));
        assertRefused(terms, byPermit(byPassword(bytes32(0)), signature));
        wallet.setManner(Wallet.Manner.WrongAnswer);
        assertRefused(terms, byPermit(permitSignature, signature));
    }

    // --------------------------------------------------------------- hostile tokens

    function test_APermitThatAllowsEverythingIsNoConsent() public {
        permitting.setManner(PermitToken.Manner.AllowAll);
        IPreauthEscrow.Terms memory terms = unregistered(address(permitting));
        assertRefused(terms, consentOf(terms, "stranger"), IPreauthEscrow.InvalidConsent.selector);
    }

    function test_APermitCanEnterNothing() public {
        IPreauthEscrow.Terms memory victim = unregistered(address(token));
        authorize(victim, consentOf(victim, "sender"));
        vm.warp(victim.expiresAt);
        bytes[3] memory entries = [
            expiring(victim),
            batching(list(expiring(victim)), GAS_PER_CALL),
            abi.encodeCall(IPreauthEscrow.claim, (sender, address(token)))
        ];
        for (uint256 i = 0; i < entries.length; ++i) {
            permitting.setHook(address(escrow), entries[i]);
            IPreauthEscrow.Terms memory terms = unregistered(address(permitting));
            authorize(terms, consentOf(terms, "sender"));
            assertTrue(permitting.hookRan());
            assertFalse(permitting.hookSucceeded());
            assertHeld(victim);
        }
    }

    function test_AHostilePermitCostsNoMoreThanTheCap() public {
        PermitToken.Manner[3] memory manners =
            [PermitToken.Manner.BurnAllGas, PermitToken.Manner.ReturnBomb, PermitToken.Manner.RevertBomb];
        for (uint256 i = 0; i < manners.length; ++i) {
            permitting.setManner(manners[i]);
            IPreauthEscrow.Terms memory bad = unregistered(address(permitting));
            IPreauthEscrow.Terms memory good = someTerms();
            bytes memory calls =
                list(authorizing(bad, consentOf(bad, "sender")), authorizing(good, consentOf(good, "sender")));
            uint256 gasBefore = gasleft();
            Outcome[] memory results = batchBy(operator, calls);
            assertLt(gasBefore - gasleft(), GAS_PER_CALL + 300_000);
            assertFalse(results[0].success);
            assertTrue(results[1].success);
        }
    }

    // ------------------------------------------------------------------- helpers

    function unregistered(address paidIn) private returns (IPreauthEscrow.Terms memory terms) {
        terms = someTerms(paidIn);
        terms.receiver = stranger;
    }

    function consentOf(IPreauthEscrow.Terms memory terms, string memory name) private view returns (bytes memory) {
        return byPermit(ecdsa(permitDigest(terms), name), ecdsa(escrow.consentDigest(terms), name));
    }
}
