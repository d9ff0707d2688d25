// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {ERC3009} from "../src/dev/ERC3009.sol";
import {SignerTest} from "./SignerTest.sol";
import {AuthorizingToken} from "./mocks/AuthorizingToken.sol";
import {MoodyToken} from "./mocks/MoodyToken.sol";
import {Wallet} from "./mocks/Wallet.sol";

/// @dev Kind 3: an ERC-3009 authorization whose nonce is the hash of the terms. Nobody here has allowed anything.
contract ConsentAuthorizationTest is SignerTest {
    function setUp() public override {
        super.setUp();
        vm.prank(sender);
        token.approve(address(escrow), 0);
    }

    function test_OneSignatureAndNoAllowanceLockAHold() public {
        IPreauthEscrow.Terms memory terms = unregistered();
        authorize(terms, consentOf(terms, "sender"));
        assertHeld(terms);
        assertTrue(token.authorizationState(sender, escrow.hashTerms(terms)));
    }

    function test_ASenderWhoDemandsSignaturesIsServed() public {
        vm.prank(sender);
        escrow.requireSignedConsent(true);
        IPreauthEscrow.Terms memory terms = unregistered();
        authorize(terms, consentOf(terms, "sender"));
        assertHeld(terms);
    }

    // ------------------------------------------------------------- what is signed

    function test_TheSignatureBindsEachField() public {
        IPreauthEscrow.Terms memory terms = unregistered();
        assertBindsEachField(terms, consentOf(terms, "sender"));
    }

    function test_ASignatureOfAnotherIsRejected() public {
        IPreauthEscrow.Terms memory terms = unregistered();
        assertRefused(
            terms, consentOf(terms, "stranger"), abi.encodeWithSelector(ERC3009.InvalidAuthorization.selector, sender)
        );
        assertRefused(terms, byAuthorization(""));
        assertRefused(terms, byAuthorization(ecdsa(escrow.consentDigest(terms), "sender")));
    }

    function test_ASignatureForAnotherEscrowOrChainIsRejected() public {
        IPreauthEscrow.Terms memory terms = unregistered();
        IPreauthEscrow other = anotherEscrow();
        assertRefused(terms, byAuthorization(ecdsa(authorizationDigest(terms, address(other)), "sender")));

        bytes memory here = consentOf(terms, "sender");
        refused(operator, abi.encodeWithSelector(ERC3009.InvalidAuthorization.selector, sender));
        other.authorize(terms, here);
        vm.chainId(block.chainid + 1);
        assertRefused(terms, here);
    }

    function test_NobodyElseCanUseTheSignature() public {
        IPreauthEscrow.Terms memory terms = unregistered();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf("sender"), authorizationDigest(terms));
        bytes32 nonce = escrow.hashTerms(terms);
        refused(stranger, abi.encodeWithSelector(ERC3009.NotPayee.selector, stranger));
        token.receiveWithAuthorization(sender, address(escrow), HOLD, 0, terms.expiresAt, nonce, v, r, s);
    }

    function test_AUsedNonceIsRejected() public {
        IPreauthEscrow.Terms memory terms = unregistered();
        bytes32 nonce = escrow.hashTerms(terms);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keyOf("sender"), authorizationDigest(terms, stranger));
        vm.prank(stranger);
        token.receiveWithAuthorization(sender, stranger, HOLD, 0, terms.expiresAt, nonce, v, r, s);

        assertRefused(
            terms,
            consentOf(terms, "sender"),
            abi.encodeWithSelector(ERC3009.AuthorizationAlreadyUsed.selector, sender, nonce)
        );
    }

    function test_AHoldIsLockedOnce() public {
        IPreauthEscrow.Terms memory terms = unregistered();
        bytes memory consent = consentOf(terms, "sender");
        authorize(terms, consent);
        assertRefused(terms, consent, alreadyUsed(terms.preauthId, IPreauthEscrow.Status.Open));
    }

    // ------------------------------------------------------------- contract wallets

    function test_AContractWalletSignsInAnyLength() public {
        for (uint256 length = 64; length < 67; ++length) {
            (, IPreauthEscrow.Terms memory terms) = someWallet(address(token));
            authorize(terms, byAuthorization(byPassword(authorizationDigest(terms), length)));
            assertStatus(terms, IPreauthEscrow.Status.Open);
        }
    }

    function test_AContractWalletThatRefusesIsNotPulledFrom() public {
        (Wallet wallet, IPreauthEscrow.Terms memory terms) = someWallet(address(token));
        bytes32 digest = authorizationDigest(terms);
        assertRefused(terms, byAuthorization(byPassword(escrow.consentDigest(terms))));
        wallet.setManner(Wallet.Manner.WrongAnswer);
        assertRefused(terms, byAuthorization(byPassword(digest)));
        assertRefused(terms, byAuthorization(byPassword(digest, 65)));
    }

    // ---------------------------------------------------------------- other tokens

    function test_ATokenThatMovesAnotherAmountIsRefused() public {
        AuthorizingToken careless = someToken();
        IPreauthEscrow.Terms memory terms = someTerms(address(careless));
        uint256[3] memory amounts = [uint256(0), HOLD - 1, HOLD + 1];
        for (uint256 i = 0; i < amounts.length; ++i) {
            careless.setMoved(amounts[i]);
            assertRefused(
                terms,
                byAuthorization(new bytes(65)),
                abi.encodeWithSelector(IPreauthEscrow.InexactTransfer.selector, HOLD, amounts[i])
            );
        }
    }

    function test_ATokenThatSwallowsTheCallIsRefused() public {
        IPreauthEscrow.Terms memory terms = someTerms(address(someToken()));
        assertRefused(
            terms,
            byAuthorization(new bytes(64)),
            abi.encodeWithSelector(IPreauthEscrow.InexactTransfer.selector, HOLD, 0)
        );
    }

    function test_ATokenWithoutTheStandardOrWithoutCodeIsRefused() public {
        assertRefused(someTerms(address(new MoodyToken("Moody", "MOOD", 6))), byAuthorization(new bytes(65)));
        IPreauthEscrow.Terms memory terms = someTerms(stranger);
        for (uint256 length = 64; length < 66; ++length) {
            vm.expectRevert();
            vm.prank(operator);
            escrow.authorize(terms, byAuthorization(new bytes(length)));
        }
    }

    function test_ATokenCanEnterNothing() public {
        IPreauthEscrow.Terms memory victim = unregistered();
        authorize(victim, consentOf(victim, "sender"));
        vm.warp(victim.expiresAt);
        AuthorizingToken careless = someToken();
        careless.setMoved(HOLD);
        careless.setHook(address(escrow), expiring(victim));
        IPreauthEscrow.Terms memory terms = someTerms(address(careless));
        authorize(terms, byAuthorization(new bytes(65)));
        assertTrue(careless.hookRan());
        assertFalse(careless.hookSucceeded());
        assertHeld(victim);
    }

    // ------------------------------------------------------------------- helpers

    function unregistered() private returns (IPreauthEscrow.Terms memory terms) {
        terms = someTerms();
        terms.receiver = stranger;
    }

    function someToken() private returns (AuthorizingToken careless) {
        careless = new AuthorizingToken();
        careless.mint(sender, FUNDS);
    }

    function consentOf(IPreauthEscrow.Terms memory terms, string memory name) private view returns (bytes memory) {
        return byAuthorization(ecdsa(authorizationDigest(terms), name));
    }
}
